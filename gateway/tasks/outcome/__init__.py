"""The outcome of a step: where the VM is seen decides, whatever the driver's error was called."""
