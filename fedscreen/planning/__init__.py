"""`fedscreen plan`: what a county's plan author does before anything is collected."""
