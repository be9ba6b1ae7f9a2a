"""From recorded results to verdicts: what was measured, the rule, and the scorecard."""
