"""Training, evaluation and data for handviz's networks. Imports only the lower rooms of ``handviz``."""

import handviz  # noqa: F401  (before ONNX Runtime: it says that nothing is sent anywhere)
