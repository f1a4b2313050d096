"""Reproducible companion to arXiv 2605.02794: Restormer stages distilled into MambaIR, searched.

Import a module and use it by name: `from ensrepro import search`, then `search.run(...)`. This file
imports nothing, so that the package costs nothing until a part of it is used. In reading order:

    what is searched   space: stages, choices, architectures    pareto: front, knee, candidates
    what is stated     config: profiles and tasks               paper: the published numbers
    what is kept       artifacts: files and their provenance    ledger: every evaluation, once
    networks           models.scan, models.restormer, models.mambair, models.hybrid, models.official
                       models.uformer, models.edge: what other pairs are made of
    data               degrade: noise in linear light           data: photos, crops, batches
    the method         training, distill, search, finetune: sections 3.1 to 3.5 of the paper
    what is measured   evaluate, metrics, erf, latency
    what is shown      tables, figures            claims: a verdict on each claim of the paper
    the front door     notebook: run one strictly    pipeline: a task from nothing
                       parameters: what may be asked    outlook, terminal: what a person is told
                       cli: `python -m ensrepro`
"""

__version__ = "0.1.0"
