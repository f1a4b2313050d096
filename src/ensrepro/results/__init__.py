"""The paper's six tables with what was measured in their place.

`paper_tables` is the entry: rows of data, and tables in the paper's layout.
"""
