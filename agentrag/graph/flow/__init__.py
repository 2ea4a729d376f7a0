"""What runs a flow: one file per step of the language. Knows nothing of LangGraph."""
