"""Latency on devices: measured here in onnxruntime, or imported from where it was measured.

    found       architectures that a search found and fine-tuning chose
    subjects    what is measured: blocks, choices of stages, whole networks
    memory      the most memory that one network takes, in a process of its own
    asking      what a measurement is of, and how long it takes
    quietness   how busy the machine is
    measuring   groups of subjects in alternation, resumable
    shelf       the results of all devices on file
    stage_sums  the latency of every architecture, as a search optimizes it
    whole       one network against its teacher, read or timed
    choosing    which device a notebook is about
    tables      what the records say, as rows
    sections    what a page says of a device
    importing   the output of other tools as records
    imports     what was imported, as rows
    commands    `python -m ensrepro measure` and `import-record`

The networks are those of `ensrepro.export`: stock operators in onnxruntime, on the CPU. Weights are
random, because latency hardly depends on them. Needs the extra `onnx`.
"""
