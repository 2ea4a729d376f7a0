"""From files to passages: loaders, chunking, and the incremental pipeline."""
