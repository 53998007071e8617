"""The generators and the discriminator; they know no files, tiles or training.

Importing the package registers every generator family.
"""

from creps.networks import creps as creps
