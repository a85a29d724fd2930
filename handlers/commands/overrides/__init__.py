"""`rapport overrides`: what relationship managers decided over the head of the policy, and how it turned out."""
