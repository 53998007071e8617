"""The generators and the discriminator; they know no files, tiles or training.

Importing the package registers every generator family.
"""

from creps.networks import anyres as anyres
from creps.networks import cips as cips
from creps.networks import creps as creps
from creps.networks import scaleparty as scaleparty
from creps.networks import stylegan2 as stylegan2
from creps.networks import stylegan3 as stylegan3
