"""VMs and appliances: their resources, their actions, and their tasks."""
