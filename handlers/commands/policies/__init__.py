"""`rapport policy`: show, check and try policies before anybody is contacted by them."""
