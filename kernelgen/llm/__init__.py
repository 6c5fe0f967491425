"""Kernels written by a language model where synthesis has none that passes; it judges nothing and calls no provider.

``proposer.KernelProposer`` is the way in: a state machine (generate, lint, test, compile, feedback, generate) whose
state is the trial history alone. ``agents.llm`` carries the questions; ``evaluator.CandidateEvaluator`` judges.
"""
