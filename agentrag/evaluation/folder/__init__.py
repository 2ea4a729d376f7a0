"""The folder that an evaluation leaves behind: all that its numbers follow from, written as it goes and read again."""
