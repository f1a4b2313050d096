"""The method step by step: teacher, pool, search, knee, fine-tuning.

Each step has a frozen `Result` that goes into a manifest, and one call that loads what is there or
makes it. A step's identity names the weights it was made from, so that parts of different runs
are never mixed.
"""
