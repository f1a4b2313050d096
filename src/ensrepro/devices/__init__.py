"""Latency on devices: measured here in onnxruntime, or imported from where it was measured.

    subjects    what is measured: blocks, choices of stages, whole networks
    memory      the most memory that one network takes, in a process of its own
    measuring   groups of subjects in alternation, resumable
    shelf       the results of all devices on file, and the stage table that a search optimizes
    tables      what the records say, as rows
    importing   the output of other tools as records
    commands    `python -m ensrepro measure` and `import-record`

The networks are those of `ensrepro.export`: stock operators in onnxruntime, on the CPU. Weights are
random, because latency hardly depends on them. Needs the extra `onnx`.
"""
