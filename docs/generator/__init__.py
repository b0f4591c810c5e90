"""The reference pages of the documentation, generated from the code.

``python -m docs.generator`` writes them into `docs/reference/generated`. A test checks that they match the code.
"""
