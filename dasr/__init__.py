"""dasr: which strategy of distributed SGD should I use for my acoustic model, what does it cost in WER?"""

__version__ = "0.2.0"
