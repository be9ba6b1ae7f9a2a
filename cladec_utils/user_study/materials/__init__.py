"""What participants see, and what a researcher needs to ask them."""
