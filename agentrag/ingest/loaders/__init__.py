"""One file per format: from bytes to blocks of text with pages and headings."""
