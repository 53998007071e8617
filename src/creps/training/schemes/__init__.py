"""What some families are trained with beside the adversarial game."""
