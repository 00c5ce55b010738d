def classes_code(*a): return ""
config_code=parameters_code=memory_code=lora_code=compare_code=load_code=classes_code
