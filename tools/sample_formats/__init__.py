"""Writers that turn one Markdown source into a PDF, HTML or DOCX sample document."""
