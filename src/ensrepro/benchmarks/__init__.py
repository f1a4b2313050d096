"""The paper's real benchmarks (section 4): what they are, whether they are whole, what they score.

`catalog` names them, `checking.inspect` looks at a folder, `evaluation.run` scores a network on it.
They judge finished networks: no step of the method imports this package, so neither a search nor a
knee sees a test image. Nothing is downloaded unasked.
"""
