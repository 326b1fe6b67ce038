"""What an estimate is judged against: exact gradients, certified Monte Carlo, and the policies they are taken at."""
