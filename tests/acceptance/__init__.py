"""The product as its users meet it: real `vmgate serve` processes, asked over HTTP."""
