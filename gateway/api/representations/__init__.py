"""How resources look on the wire: names, numbers and links as Abiquo's clients expect them."""
