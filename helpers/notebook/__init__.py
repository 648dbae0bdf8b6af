"""What makes a notebook an experiment: parameters, recorded values, shown source."""
