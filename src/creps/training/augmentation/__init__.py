"""What the discriminator is shown of pictures: ADA and DiffAugment."""
