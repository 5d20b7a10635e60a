"""How much of a secret is found, how much else is lost, and how long it takes: ours beside others.

The families of secrets, their contexts and the hard negatives of this folder were written by somebody who
had not seen the rules of ``spantally.redaction``, and should be extended that way.
"""
