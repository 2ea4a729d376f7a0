"""What a graph can cost before it runs: sizes of channels and costs of nodes, carried along its flow in three cases."""
