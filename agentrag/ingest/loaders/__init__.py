"""One file per format: from bytes to blocks of text with pages and headings. Importing this registers them all."""

from agentrag.ingest.loaders import corpus, docx, html, markdown, pdf, text

__all__ = ["corpus", "docx", "html", "markdown", "pdf", "text"]
