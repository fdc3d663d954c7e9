"""Tests of the decision: tables for each rule, and properties against a plain second opinion."""
