"""The generators and the discriminator; they know no files, tiles or training.

Importing the package registers every family of generators. Their presets are next to their
configs, in a module for each family.
"""

from creps.networks.anyres import AnyResConfig
from creps.networks.base import (
    Generator,
    GeneratorConfig,
    Prepared,
    build_generator,
    describe_generator,
    families,
    family_config,
    read_config,
    register_family,
)
from creps.networks.cips import CipsConfig
from creps.networks.creps import CrepsConfig
from creps.networks.discriminator import Discriminator, DiscriminatorConfig, build_discriminator
from creps.networks.scaleparty import ScalePartyConfig
from creps.networks.stylegan2 import StyleGAN2Config
from creps.networks.stylegan3 import StyleGAN3Config

__all__ = [
    "AnyResConfig",
    "CipsConfig",
    "CrepsConfig",
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "Prepared",
    "ScalePartyConfig",
    "StyleGAN2Config",
    "StyleGAN3Config",
    "build_discriminator",
    "build_generator",
    "describe_generator",
    "families",
    "family_config",
    "read_config",
    "register_family",
]
