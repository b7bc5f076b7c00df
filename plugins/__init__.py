"""Built-in plugins. They use nothing that a third party could not."""
