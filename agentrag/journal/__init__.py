"""The record of every outward call: what it cost, and answers that need not be paid for twice."""
