"""Networks: the scan, the two block families, and the U-Net that holds either in each stage."""
