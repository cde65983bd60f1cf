"""What sessions came to: measures that people define over signals, behaviour and cost. Pure."""
