SELECT mark FROM key_marks WHERE purpose = :purpose AND scope = :scope
