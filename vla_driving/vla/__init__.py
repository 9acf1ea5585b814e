"""The doer: model manifest, runtimes, inputs and outputs of the network, reasons."""
