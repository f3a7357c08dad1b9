"""The command `message-passing create`: a commented config file for the components that are named."""
