"""One page about one or several evaluations: tables, charts and sentences, as HTML without any script, or as Markdown."""
