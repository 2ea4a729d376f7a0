"""Public fakes: test your graphs and nodes without a model, a key or a network."""
