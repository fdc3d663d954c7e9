"""The hard rules: each looks at one demand and one candidate and says what is lacking, if anything.

One file a rule; `scheduler.rule_registry` lists them all.
"""
