"""Networks: classifiers, decoders, autoencoders, how they are trained and how relevance is read from them."""
