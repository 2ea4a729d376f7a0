"""Types, errors, ports and the Node contract: what every other layer stands on."""
