"""The HTTP API in Abiquo's resource style: it checks, reads, submits and answers, nothing else."""
