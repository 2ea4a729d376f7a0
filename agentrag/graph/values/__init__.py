"""What is done with the values of channels: kept within bounds, compared, joined."""
