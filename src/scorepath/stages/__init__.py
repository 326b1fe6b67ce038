"""The pipeline, one module per rule: each holds the function of a rule, under the rule's name.

`scorepath.study.jobs` says what the rules are.
"""
