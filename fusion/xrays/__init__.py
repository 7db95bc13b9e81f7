"""What X-rays do between the atom that sends them and the channel that counts them.

Lines and their energies, how many photons an atom sends, what the specimen takes away, what a
detector lets in and how wide it shows it; and `LineModel`, which puts all that into a model.
"""
