"""Trained networks on photos of one's own: `python -m ensrepro restore` and `export`.

networks   which trained network: the teacher, the chosen hybrid, any that is on file
runtimes   the network in torch or in onnxruntime
photos     from file to file, tile by tile
tiling     how far tiles are from the whole photo
precision  what fewer bits cost and save
progress   what is said meanwhile
commands   the two commands
"""
