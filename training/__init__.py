"""Training, evaluation and data for handviz's networks. Imports only the lower rooms of ``handviz``."""
