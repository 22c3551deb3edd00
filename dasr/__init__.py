"""dasr: which way of distributing SGD should I use for my acoustic model, and what does it cost in WER?"""

__version__ = "0.2.0"
